"""Writes, checks, resumes and reads workdirs and checkpoints, in folders and buckets."""
