"""Where the slots of a walk are worked at: in processes here, or on other machines."""
