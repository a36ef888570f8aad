-- Recordings of the karaoke dialect, who may see a work, friends.
select 1;
