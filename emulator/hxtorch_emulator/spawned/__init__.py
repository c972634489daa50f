"""A folder for the module search path: in it, processes that multiprocessing spawns find what ``import hxtorch`` means.

They get their parent's search path, but not its modules.
"""
