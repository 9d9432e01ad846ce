"""Status: what the lake holds of each model on each dataset."""
