/* The courier: takes messages to remote servers. Nothing leaves yet in this release, so the room
 * only stands: its process, its walls and its door.
 *
 * SECURITY. Will hear remote servers, all hostile. Holds the message under way; no file but
 * certificates of authorities. An intruder gains what is being delivered at that moment.
 */
#include "rooms/resting.h"

int main(int argc, char **argv)
{
	return room_rest(argc, argv, SANDBOX_COURIER, NULL);
}
