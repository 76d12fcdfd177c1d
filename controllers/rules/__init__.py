"""Control rules, one file each; `twin.registry.load` imports them all."""
