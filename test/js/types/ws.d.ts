/** As much of the package ws as the guide uses; it has no types of its own. */
declare const WebSocketOfWS: new (url: string, protocols: string[], options: { headers: Record<string, string> }) => WebSocket;
export default WebSocketOfWS;
