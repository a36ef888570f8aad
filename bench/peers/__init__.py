"""What Openstage is measured against, each started with its own configuration on its own port."""
