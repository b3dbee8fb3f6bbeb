"""The tests of the whole house; each bridge keeps its own beside its code."""
