"""Moving in and out: old messages taken in from files, a forum written into files. For commands; the running server needs none of it."""
