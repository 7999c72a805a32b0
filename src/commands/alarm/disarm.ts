import type {AlarmResponse} from '../../transport/proto/generated/maintenance.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {badArguments} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {alarmView} from '../_shared/views/maintenance.ts';

export default class AlarmDisarm extends ClientCommand<AlarmResponse> {
  static override readonly summary = 'Clear all alarms, once their cause is gone.';
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> alarm disarm'];

  /** Each alarm by itself: a server clears what is named, and "all" has no name. */
  async run(): Promise<AlarmResponse> {
    const {words} = this.parseClient({});
    if (words.length > 0) throw badArguments('alarm disarm command accepts no arguments');
    this.use(alarmView);
    const {AlarmRequestAlarmAction: action} = await import('../../transport/proto/generated/maintenance.ts');
    const {maintenance} = await this.client();
    const {alarms} = await maintenance.alarm({action: action.GET}, this.short);
    const cleared = [];
    for (const {memberID, alarm} of alarms) {
      const response = await maintenance.alarm({action: action.DEACTIVATE, memberID, alarm}, this.short);
      cleared.push(...response.alarms);
    }
    return {alarms: cleared};
  }
}
