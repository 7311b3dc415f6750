"""What each implementation of a driver protocol has to do, the real ones and the fakes alike."""
