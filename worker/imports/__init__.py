"""Data sets from the files that users have: each form is read in small steps, within bounds, and refused in words.

A reader is a generator: it adds crops to a `Collection` and yields after each few milliseconds of work.
"""
