"""Decisions: pure functions of state, forecast and plan. Imports `twin` only."""
