"""The shells round `router.dicom`: sockets, TLS, clocks and threads; one thread per association."""
