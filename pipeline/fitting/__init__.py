"""Fit over folds and refit: predictions that no fit has seen, importance, certification, trials."""
