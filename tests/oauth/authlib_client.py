"""Authlib's own client, a stranger's view of our endpoints; it would rather have the next httpx, and says so."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from authlib.integrations.httpx_client import AsyncOAuth2Client

__all__ = ["AsyncOAuth2Client"]
