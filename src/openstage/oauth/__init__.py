"""Standard OAuth for apps, and the pages on which people sign in and decide what an app may do."""
