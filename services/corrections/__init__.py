"""Corrections of answers: kept with their crops, counted, and closed into data sets."""
