"""What the karaoke dialect costs: calls, devices that wait to be confirmed, recordings on their way in."""
