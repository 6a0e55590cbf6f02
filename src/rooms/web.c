/* Web: HTTP requests that the gate relays. No page is served yet in this release, so the room only
 * stands: its process, its walls and its door.
 *
 * SECURITY. Will hear browsers' requests, hostile, in plain text from the gate. Holds nothing.
 */
#include "rooms/resting.h"

int main(int argc, char **argv)
{
	return room_rest(argc, argv, SANDBOX_WEB, NULL);
}
