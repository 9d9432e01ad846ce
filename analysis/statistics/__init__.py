"""What detectors learn from: mergeable statistics of a dataset's activations, all gathered in one sweep."""
