"""Images: from bytes to what a network is fed."""
