"""What would have been right, known some time later; one module for each family."""
