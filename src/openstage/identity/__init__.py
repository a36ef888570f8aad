"""Who calls: apps, their end users, and the tokens issued to them."""
