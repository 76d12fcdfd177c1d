"""The electrical network. The only place with pandapower, MW and generator signs."""
