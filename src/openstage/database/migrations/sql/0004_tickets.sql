-- QR tickets and passkeys.
select 1;
