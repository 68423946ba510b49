"""How long things are kept: what is finished is deleted after some days, and a person's data when it is asked for."""
