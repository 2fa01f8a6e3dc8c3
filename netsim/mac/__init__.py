"""Medium access control: what transfers demand, and how schedulers share resource blocks."""
