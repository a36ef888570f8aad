-- Licensable tracks, their categories and offers.
select 1;
