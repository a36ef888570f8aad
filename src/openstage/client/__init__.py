"""Python client of the documented platforms and of Openstage."""
