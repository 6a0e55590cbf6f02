/* The queue: outgoing mail that waits for its delivery. Nothing is submitted yet in this release,
 * so the room only stands: its process, its walls, its directory and its door.
 *
 * SECURITY. Hears the supervisor only. Holds the queue's directory; no network. An intruder gains
 * mail that is on its way out.
 */
#include "rooms/resting.h"

int main(int argc, char **argv)
{
	return room_rest(argc, argv, SANDBOX_QUEUE, "queue");
}
