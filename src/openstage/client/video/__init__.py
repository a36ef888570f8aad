"""The documented video cloud interface, without I/O of its own: `openstage.client.VideoCloud`."""
