"""What would have been right, told some time later; one module for each family."""
