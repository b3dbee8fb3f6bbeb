"""The demo: real peers around one Junto, and a stage to watch them from. Imports nothing of the server or the bridges."""
