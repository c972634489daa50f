"""Programs: sessions of users' own hxtorch programs, and the operations that they send to the chip."""
