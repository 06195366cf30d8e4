package live

// SocketConfig is what WebSockets need besides what all connections do.
type SocketConfig struct{}
