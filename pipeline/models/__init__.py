"""What can be fitted and asked for probabilities; one module for each model."""
