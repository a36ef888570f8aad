-- Events and their delivery to callback addresses.
select 1;
