-- Purchases, the ledger, certificates.
select 1;
