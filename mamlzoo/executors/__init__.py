"""Many runs at once: jobs for other processes, on this machine or over a ray cluster."""
