"""What the registry does for people and programs: looking, moving pointers, keeping versions."""
