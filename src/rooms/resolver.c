/* The resolver: DNS for all rooms. Nothing is looked up yet in this release, so the room only
 * stands: its process, its walls and its door.
 *
 * SECURITY. Will hear DNS servers, all hostile. Holds the cache. An intruder can lie about names.
 */
#include "rooms/resting.h"

int main(void)
{
	return room_rest(SANDBOX_RESOLVER, NULL);
}
