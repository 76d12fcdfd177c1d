"""Technologies of the site, one file each; `twin.registry.load` imports them all."""
