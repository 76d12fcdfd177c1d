"""The site: what it is, how it behaves, what we know of it. Imports nothing else of ours."""
