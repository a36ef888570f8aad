"""Offers, purchases, the ledger, certificates."""
