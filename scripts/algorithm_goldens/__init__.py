"""Expected advantages, losses and derivatives of the zoo's algorithms, in plain Python loops."""
