import { TalkingAvatar } from './element.js';

// a page may include the script twice
if (!customElements.get('talking-avatar')) customElements.define('talking-avatar', TalkingAvatar);
