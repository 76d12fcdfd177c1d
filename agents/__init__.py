"""Things that run. Imports `twin` and `controllers`; nobody imports agents."""
