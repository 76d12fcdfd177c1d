"""The border to the plant: bytes on one side, readings and commands on the other."""
