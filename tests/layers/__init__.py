"""The rules of the house, held by a walk over the syntax trees; see server/ARCHITECTURE.md for why they are as they are."""
