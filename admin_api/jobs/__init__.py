"""Work that takes longer than a request: started by one, done elsewhere, watched and cancelled."""
