"""What goes wrong: slow and silent clients, files that change, limits of the machine, signals."""
