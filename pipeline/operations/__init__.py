"""What retrain and predict do, step by step; knows the clock and the file system."""
